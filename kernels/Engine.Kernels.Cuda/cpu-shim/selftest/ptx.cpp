#include "host.h"
void test_ptx() {}
