using System.Globalization;
using System.IO.Compression;
using System.Reflection;
using System.Text;
using Engine.Kernels.Cuda.Driver;
using static Engine.Kernels.Cuda.Driver.CudaDriver;
using static Engine.Kernels.Cuda.Driver.CudaError;

namespace Engine.Kernels.Cuda;

/// <summary>
/// Finds functions by name. The kernels of <c>src/</c> are embedded as PTX, a file a module and a folder an architecture (<c>ptx/compute_80/gemm.ptx.gz</c>); the driver compiles them for the
/// GPU when the first function of a module is asked for. A device takes the best file it can run: the highest architecture not above its own (sm_90a: its own only). Text that comes with a launch is a module of its own, loaded once.
/// </summary>
internal sealed unsafe class CudaModules(int architecture, bool namesOnly) : IDisposable
{
    private const int LogBytes = 8192;

    private readonly Dictionary<string, CudaModule> _embedded = []; // by resource
    private readonly Dictionary<string, Dictionary<string, LoadedFunction>> _texts = []; // by text, by name
    private readonly Dictionary<string, LoadedFunction> _functions = [];
    private readonly List<CudaModule> _modules = [];
    private Dictionary<string, string>? _entries; // function -> resource

    /// <summary>A function that is ready to be launched.</summary>
    /// <param name="Handle">The driver's handle.</param>
    /// <param name="MaxThreads">Largest block, given its registers.</param>
    internal sealed record LoadedFunction(CudaFunction Handle, int MaxThreads)
    {
        /// <summary>Dynamic shared memory that the function may be launched with.</summary>
        internal int AllowedSharedBytes { get; set; } = 48 * 1024;
    }

    /// <summary>The function of a launch, allowed the shared memory it asks for.</summary>
    /// <exception cref="DeviceException">There is no such function, or the driver does not accept its text, or the launch asks for more than the device has.</exception>
    public LoadedFunction Find(KernelLaunch launch)
    {
        var function = launch.Ptx is { } text ? FromText(launch.Function, text) : FromEmbedded(launch.Function);
        if (launch.SharedBytes > function.AllowedSharedBytes)
        {
            var status = cuFuncSetAttribute(function.Handle, FunctionAttribute.MaxDynamicSharedBytes, launch.SharedBytes);
            if (status != CudaStatus.Success) Throw(status, nameof(cuFuncSetAttribute), string.Create(CultureInfo.InvariantCulture, $"{launch.SharedBytes:N0} bytes of shared memory for {launch.Function}"));
            function.AllowedSharedBytes = launch.SharedBytes;
        }
        long threads = (long)launch.Block.X * launch.Block.Y * launch.Block.Z;
        if (threads < 1 || threads > function.MaxThreads)
            throw new DeviceException($"kernel {launch.Function}: a block of {threads} threads; it takes at most {function.MaxThreads} on this device");
        return function;
    }

    private LoadedFunction FromText(string name, string text)
    {
        if (!_texts.TryGetValue(text, out var functions)) _texts[text] = functions = [];
        if (functions.TryGetValue(name, out var function)) return function;
        return functions[name] = Function(LoadModule(text, name), name);
    }

    private LoadedFunction FromEmbedded(string name)
    {
        if (_functions.TryGetValue(name, out var function)) return function;
        return _functions[name] = Function(namesOnly ? LoadModule(NamesOnly(name), name) : EmbeddedModule(name), name);
    }

    /// <summary>The module of the embedded kernels that has the function.</summary>
    internal CudaModule EmbeddedModule(string name)
    {
        _entries ??= Index();
        if (!_entries.TryGetValue(name, out var resource))
            throw new DeviceException(_entries.Count == 0
                ? $"kernel {name}: this build carries no kernels for a GPU of compute capability {architecture / 10}.{architecture % 10} (kernels/Engine.Kernels.Cuda/ptx is empty, or the GPU is older than 7.5); run ptx/regenerate.sh and build again"
                : $"kernel {name}: not among the {_entries.Count} kernels that this build carries for compute capability {architecture / 10}.{architecture % 10}; run ptx/regenerate.sh and build again");
        if (_embedded.TryGetValue(resource, out var module)) return module;
        return _embedded[resource] = LoadModule(TextOf(resource), resource);
    }

    /// <summary>The stand-in runs functions that it was compiled with by their names, so a module of names is all it needs.</summary>
    private static string NamesOnly(string name) => $".version 6.5\n.target sm_75\n.address_size 64\n\n.visible .entry {name}()\n{{\n\tret;\n}}\n";

    /// <summary>Which resource has which function, the best variant of each.</summary>
    private Dictionary<string, string> Index()
    {
        var best = new Dictionary<string, (int Rank, string Resource)>();
        foreach (string resource in Assembly.GetExecutingAssembly().GetManifestResourceNames())
        {
            if (RankOf(resource) is not { } rank) continue;
            foreach (string entry in EntriesOf(TextOf(resource)))
                if (!best.TryGetValue(entry, out var known) || known.Rank < rank) best[entry] = (rank, resource);
        }
        return best.ToDictionary(b => b.Key, b => b.Value.Resource);
    }

    /// <summary>How good a resource is for the device, larger is better; null: it does not run there. Names are ptx/compute_80/gemm.ptx.gz, ptx/sm_90a/gemm.ptx.gz.</summary>
    private int? RankOf(string resource) => Rank(resource, architecture);

    internal static int? Rank(string resource, int architecture)
    {
        if (!resource.StartsWith("ptx/", StringComparison.Ordinal) || !resource.EndsWith(".ptx.gz", StringComparison.Ordinal)) return null;
        string folder = resource["ptx/".Length..].Split('/')[0];
        string number = folder[(folder.LastIndexOf('_') + 1)..];
        bool exact = number.EndsWith('a');
        if (!int.TryParse(exact ? number[..^1] : number, NumberStyles.None, CultureInfo.InvariantCulture, out int made)) return null;
        return exact ? (made == architecture ? 10 * made + 1 : null) : made <= architecture ? 10 * made : null;
    }

    /// <summary>Names of the functions that a module's text makes visible.</summary>
    internal static IEnumerable<string> EntriesOf(string text)
    {
        const string mark = ".visible .entry ";
        for (int at = text.IndexOf(mark, StringComparison.Ordinal); at >= 0; at = text.IndexOf(mark, at, StringComparison.Ordinal))
        {
            at += mark.Length;
            int end = at;
            while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] is '_' or '$')) end++;
            yield return text[at..end];
        }
    }

    private static string TextOf(string resource)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource) ?? throw new DeviceException($"no resource {resource}");
        using var unpacked = new GZipStream(stream, CompressionMode.Decompress);
        using var reader = new StreamReader(unpacked, Encoding.ASCII);
        return reader.ReadToEnd();
    }

    private CudaModule LoadModule(string text, string about)
    {
        byte[] image = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, image);
        byte[] log = new byte[LogBytes];
        fixed (byte* pImage = image, pLog = log)
        {
            JitOption* options = stackalloc JitOption[] { JitOption.ErrorLog, JitOption.ErrorLogBytes };
            void** values = stackalloc void*[] { pLog, (void*)LogBytes };
            var status = cuModuleLoadDataEx(out var module, pImage, 2, options, values);
            if (status != CudaStatus.Success) Throw(status, nameof(cuModuleLoadDataEx), $"{about}{LogText(log)}");
            _modules.Add(module);
            return module;
        }
    }

    private static string LogText(byte[] log)
    {
        int end = Array.IndexOf(log, (byte)0);
        string text = Encoding.UTF8.GetString(log, 0, end < 0 ? log.Length : end).Trim().ReplaceLineEndings("; ");
        return text.Length == 0 ? "" : $": {(text.Length > 400 ? text[..400] + " ..." : text)}";
    }

    private static LoadedFunction Function(CudaModule module, string name)
    {
        int length = Encoding.UTF8.GetByteCount(name);
        Span<byte> bytes = stackalloc byte[length + 1];
        Encoding.UTF8.GetBytes(name, bytes);
        bytes[length] = 0;
        fixed (byte* p = bytes)
        {
            var status = cuModuleGetFunction(out var function, module, p);
            if (status != CudaStatus.Success) Throw(status, nameof(cuModuleGetFunction), $"kernel {name}");
            Check(cuFuncGetAttribute(out int threads, FunctionAttribute.MaxThreadsPerBlock, function));
            return new LoadedFunction(function, threads);
        }
    }

    /// <summary>Unloads everything. The context must be current.</summary>
    public void Dispose()
    {
        foreach (var module in _modules) _ = cuModuleUnload(module);
        _modules.Clear();
    }
}
