// What the names of shim.h call: the machine that runs kernels (machine.h), and the list of entries. No system header.
#pragma once

namespace engine_shim
{

struct Index { unsigned x, y, z; };
struct BlockView { Index index, size, grid; };
struct ThreadView { Index index; BlockView* block; };

// The CUDA thread that runs on this thread of the processor.
extern __thread ThreadView* self __attribute__((tls_model("initial-exec")));

// Compute capability of the device, 10 major + minor.
extern int architecture;

// Ends the launch with an error: what and where is printed, the driver gives `code` from then on.
[[noreturn]] void fault(const char* what, int code = 719);

// Waits for all threads of the block. `line` is the caller's: threads that meet here must come from the same.
void block_barrier(int line);

// What a lane gives to its warp, and what the warp makes of it.
struct alignas(64) Lane { unsigned char bytes[64]; };
enum class WarpOperation { Barrier, Shuffle, Ballot, LoadMatrix, MultiplyTf32, MultiplyBf16 };

// Gives `bytes` of `value` to the warp and waits until all 32 lanes did; what they gave, by lane. The last to come computes what
// the operation needs. Valid until the lane's next operation of the warp.
const Lane* warp_exchange(WarpOperation operation, const void* value, int bytes, int line);
int own_lane();

// The memory of a variable in shared memory, which is known by the address of its `slot`.
void* shared_variable(const void* slot, unsigned bytes);
void* shared_dynamic();

void copy_async(void* shared, const void* global, int bytes, int valid);
void copy_async_commit();
void copy_async_wait(int pending);

// What a lane gives to a product of matrices; it gets the first part back.
struct Fragments { float c[4]; unsigned a[4], b[2]; };

void load_matrices(unsigned* words, const void* row, bool transposed, int line);

template <typename T> struct Parameter { static constexpr bool allowed = false; };
template <typename T> struct Parameter<T*> { static constexpr bool allowed = true; static constexpr char kind = 'p'; };
template <> struct Parameter<int> { static constexpr bool allowed = true; static constexpr char kind = 'i'; };
template <> struct Parameter<long long> { static constexpr bool allowed = true; static constexpr char kind = 'l'; };
template <> struct Parameter<float> { static constexpr bool allowed = true; static constexpr char kind = 'f'; };

// An entry that this library holds: its name, its parameters (p pointer, i int, l long long, f float) and how it is called.
struct Entry
{
    using Function = void (*)();
    const char *name, *file, *kinds;
    int threads;                                                         // at most in a block
    Function function;
    void (*call)(Function function, const unsigned char* const* values); // addresses of the parameters' values
    const Entry* next;

    template <typename... T> Entry(const char* name, const char* file, void (*function)(T...), int threads)
        : name(name), file(file), kinds(kinds_of<T...>), threads(threads), function(reinterpret_cast<Function>(function)),
          call(&invoke<T...>)
    {
        static_assert((Parameter<T>::allowed && ...), "parameters of an entry are pointers, int, long long and float");
        add();
    }

    static const Entry* find(const char* name);

private:
    template <typename... T> static constexpr char kinds_of[] = {Parameter<T>::kind..., '\0'};

    template <typename... T> static void invoke(Function function, const unsigned char* const* values)
    {
        invoke_with(reinterpret_cast<void (*)(T...)>(function), values, Numbers<sizeof...(T)>{});
    }

    template <int... I> struct Sequence {};
    template <int N, int... I> struct MakeSequence : MakeSequence<N - 1, N - 1, I...> {};
    template <int... I> struct MakeSequence<0, I...> { using Type = Sequence<I...>; };
    template <int N> using Numbers = typename MakeSequence<N>::Type;

    template <typename... T, int... I>
    static void invoke_with(void (*function)(T...), [[maybe_unused]] const unsigned char* const* values, Sequence<I...>)
    {
        function(*reinterpret_cast<const T*>(values[I])...);
    }

    void add();
};

} // namespace engine_shim
