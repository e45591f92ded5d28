#include "host.h"
void test_driver() {}
