namespace Engine.Autodiff.Passes;

/// <summary>
/// Which nodes a node waits for on a device that runs at once what does not depend on one another. A small value must not be given memory whose last users its node does not wait for anyway: it would
/// have to wait for them. Large values may: what they cost is not the wait, and memory is finite.
/// </summary>
internal sealed class Waits(int nodes)
{
    /// <summary>From here on a value is large: some microseconds of a GPU's memory.</summary>
    public const long LargeBytes = 8 << 20;

    private readonly int _words = (nodes + 63) / 64;
    private readonly Dictionary<int, ulong[]> _before = []; // all that a node waits for, directly or not
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

    /// <summary>Notes that a node touches a value, and waits for who wrote it.</summary>
    public void Read(Node node, Tensor root)
    {
        Wait(node, root.Node);
        Mark(Users(root), node.Id);
    }

    /// <summary>Notes that a node writes a value.</summary>
    public void Write(Node node, Tensor root) => Mark(Users(root), node.Id);

    /// <summary>The node waits for all users of a value, whose memory it takes.</summary>
    public void WaitForUsers(Node node, Tensor root)
    {
        var before = Before(node);
        var users = Users(root);
        for (int id = 0; id < nodes; id++)
            if (id != node.Id && Has(users, id)) Include(before, id);
    }

    /// <summary>The node waits for all earlier ones: a loop, whose body touches many values.</summary>
    public void WaitForAll(Node node)
    {
        var before = Before(node);
        for (int id = 0; id < node.Id; id++) Mark(before, id);
    }

    /// <summary>Whether the node waits for all these anyway, or need not care.</summary>
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
