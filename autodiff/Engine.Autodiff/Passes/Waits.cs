namespace Engine.Autodiff.Passes;

/// <summary>
/// The happens-before sets of a program on a device that runs independent kernels concurrently. A small value reuses memory only if the old readers already happen before its producer; otherwise reuse
/// would add a dependency. Large values reuse memory regardless: a dependency is cheap beside their own time, and memory is finite.
/// </summary>
internal sealed class Waits(int nodes)
{
    /// <summary>A value of this size is large: some microseconds of a GPU's memory bandwidth.</summary>
    public const long LargeBytes = 8 << 20;

    private readonly int _words = (nodes + 63) / 64;
    private readonly Dictionary<int, ulong[]> _before = []; // the transitive happens-before set of every node
    private readonly Dictionary<Tensor, ulong[]> _users = [];

    /// <summary>The nodes that have written or read a value.</summary>
    public ulong[] Users(Tensor root) => _users.TryGetValue(root, out var users) ? users : _users[root] = new ulong[_words];

    /// <summary>The node alone.</summary>
    public ulong[] Only(Node node)
    {
        var users = new ulong[_words];
        Mark(users, node.Id);
        return users;
    }

    /// <summary>Notes that a node reads a value, and so happens after its producer.</summary>
    public void Read(Node node, Tensor root)
    {
        Wait(node, root.Node);
        Mark(Users(root), node.Id);
    }

    /// <summary>Notes that a node writes a value.</summary>
    public void Write(Node node, Tensor root) => Mark(Users(root), node.Id);

    /// <summary>The node takes the memory of a value, and so happens after all its users.</summary>
    public void WaitForUsers(Node node, Tensor root)
    {
        var before = Before(node);
        var users = Users(root);
        for (int id = 0; id < nodes; id++)
            if (id != node.Id && Has(users, id)) Include(before, id);
    }

    /// <summary>A barrier: the node follows all earlier ones. For a loop, whose body touches many values.</summary>
    public void WaitForAll(Node node)
    {
        var before = Before(node);
        for (int id = 0; id < node.Id; id++) Mark(before, id);
    }

    /// <summary>Whether the node may take memory with these users: they already happen before it, or the value is large.</summary>
    public bool Allows(Node node, long bytes, ulong[]? users)
    {
        if (users is null || bytes >= LargeBytes) return true;
        var before = Before(node);
        for (int w = 0; w < _words; w++)
            if ((users[w] & ~before[w] & ~(w == node.Id / 64 ? 1UL << (node.Id % 64) : 0)) != 0) return false;
        return true;
    }

    private ulong[] Before(Node node) => _before.TryGetValue(node.Id, out var before) ? before : _before[node.Id] = new ulong[_words];

    private void Wait(Node node, Node earlier)
    {
        if (earlier != node) Include(Before(node), earlier.Id);
    }

    private void Include(ulong[] before, int earlier)
    {
        Mark(before, earlier);
        if (!_before.TryGetValue(earlier, out var more)) return;
        for (int w = 0; w < _words; w++) before[w] |= more[w];
    }

    private static void Mark(ulong[] bits, int id) => bits[id / 64] |= 1UL << (id % 64);

    private static bool Has(ulong[] bits, int id) => (bits[id / 64] >> (id % 64) & 1) != 0;
}
