// Launches to be recorded, whose operands are parts of one allocation as in a program's arena.
#include "host.h"

void record(const std::string& kind)
{
    Numbers numbers(20);
    std::vector<float> x(40000);
    for (auto& v : x) v = numbers.unit();
    Buffer<float> arena(x);
    auto operand = [&](size_t first, size_t elements) {
        standin_annotate(arena.address + 4 * first, 4 * elements);
        return arena.address + 4 * first;
    };
    if (kind == "good")
    {
        uint64_t a = operand(64, 512), b = operand(1000, 512);
        CHECK(launch("t_reverse", {2}, {256}, 0, a, b) == 0);
        a = operand(64, 512), b = operand(256, 1000); // they overlap: one region
        CHECK(launch("t_out_of_bounds", {2}, {256}, 0, a, 512, 0) == 0);
        a = operand(3, 900), b = operand(1001, 900);
        CHECK(launch("t_dynamic", {}, {96}, 3600, a, b, 900) == 0);
        a = operand(64, 7 * 256), b = operand(4096, 256);
        CHECK(launch("t_pipeline", {}, {256}, 0, a, b, 7) == 0);
        a = operand(64, 128), b = operand(4096, 192);
        CHECK(launch("t_copy_partial", {}, {32}, 0, a, b) == 0);
        a = operand(64, 3001), b = operand(4096, 3);
        CHECK(launch("t_block_reduce", {}, {192}, 0, a, b, 3001) == 0);
        a = operand(0, 4096), b = operand(4096, 4096);
        uint64_t c = operand(8192, 4096);
        CHECK(launch("t_gemm", {1, 1}, {256}, 0, a, b, c, 64, 64, 64) == 0);
        a = operand(0, 256), b = operand(256, 128), c = operand(512, 128);
        CHECK(launch("t_mma_bf16", {}, {32}, 0, a, b, c) == 0);
        CHECK(launch("t_out_of_bounds", {2}, {256}, 0, arena.address, 512, 30000) == 0); // not annotated: the whole allocation
        return;
    }
    uint64_t y = operand(1024, 500);
    if (kind == "shared") CHECK(launch("t_shared_overread", {}, {}, 0, y, 32) == 0);
    else CHECK(launch("t_out_of_bounds", {4}, {125}, 0, y, 500, kind == "beyond" ? 1 : -1) == 0);
}
