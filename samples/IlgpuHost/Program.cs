// A host that lives in ILGPU. Its own kernels make the data and judge the result; in between Engine learns, in the same memory and on the same stream.
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Ilgpu;
using ILGPU;
using ILGPU.Runtime;

const int Rows = 512;
using var context = Context.CreateDefault();
using var accelerator = context.GetPreferredDevice(preferCPU: false).CreateAccelerator(context);
using var stream = accelerator.CreateStream();
using var x = accelerator.Allocate1D<float>(Rows);
using var y = accelerator.Allocate1D<float>(Rows);
using var fitted = accelerator.Allocate1D<float>(Rows);
var make = accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<float>, ArrayView<float>>(Make);
var judge = accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<float>, ArrayView<float>>(Judge);

make(stream, Rows, x.View, y.View);
using (var device = IlgpuDevice.Attach(accelerator, stream))
using (var state = new State(device))
{
    var column = TensorType.Float([Rows]);
    Variable inputs = state.Add("x", column, device.Wrap(x)), targets = state.Add("y", column, device.Wrap(y)), outputs = state.Add("fitted", column, device.Wrap(fitted));
    Variable slope = state.Add("slope", [1], [0f]), offset = state.Add("offset", [1], [0f]);
    using var update = state.Compile(graph =>
    {
        Tensor w = graph.Read(slope), b = graph.Read(offset);
        var output = graph.Read(inputs) * w + b;
        var gradients = Gradients.Of((output - graph.Read(targets)).Square().Mean(), w, b);
        graph.Assign(slope, w - 0.5 * gradients[0]);
        graph.Assign(offset, b - 0.5 * gradients[1]);
        graph.Assign(outputs, output);
    });
    update.Run(100); // queued: nothing waits
    Console.WriteLine($"{accelerator.Name}: {update.KernelCount} kernels an update; fitted {state.Read("slope")[0]:F3} x + {state.Read("offset")[0]:F3}, made by 1.500 x + 0.500");
}
judge(stream, Rows, fitted.View, y.View);

float[] errors = new float[Rows];
fitted.View.CopyToCPU(stream, errors);
stream.Synchronize();
Console.WriteLine($"largest error, by the host's kernel: {errors.Max():F4}");
if (!(errors.Max() < 1e-3f)) throw new InvalidOperationException("the fit is not what the data were made by");
if (Accelerator.Current != accelerator) throw new InvalidOperationException("the thread's accelerator is another than before");

static void Make(Index1D i, ArrayView<float> x, ArrayView<float> y)
{
    x[i] = i / 256f - 1f;
    y[i] = 1.5f * x[i] + 0.5f;
}

static void Judge(Index1D i, ArrayView<float> fitted, ArrayView<float> y) => fitted[i] = IntrinsicMath.Abs(fitted[i] - y[i]);
