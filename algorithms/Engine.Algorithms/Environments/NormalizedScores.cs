
namespace Engine.Algorithms.Environments;

/// <summary>
/// Reference returns of D4RL's tasks (d4rl/infos.py): the normalised score is 100 (return - Min) / (Max - Min), 0 for a random policy and 100 for an expert.
/// </summary>
public static class NormalizedScores
{
    private static readonly (string Prefix, double Min, double Max)[] Table =
    [
        ("halfcheetah-", -280.178953, 12135.0), ("hopper-", -20.272305, 3234.3), ("walker2d-", 1.629008, 4592.3), ("ant-", -325.6, 3879.7), ("antmaze-", 0, 1),
        ("pen-", 96.262799, 3076.8331018826877), ("hammer-", -274.856578, 12794.134825156867), ("door-", -56.512833, 2880.5693087298737), ("relocate-", -6.425911, 4233.877797728884),
        ("kitchen-", 0, 4), ("minigrid-fourrooms", 0.01442, 2.89685),
        ("maze2d-eval-umaze-v1", 36.63, 141.4), ("maze2d-eval-medium-v1", 13.07, 204.93), ("maze2d-eval-large-v1", 16.4, 302.22),
        ("maze2d-umaze-v0", 0.94, 62.6), ("maze2d-medium-v0", 5.77, 85.14), ("maze2d-large-v0", 4.83, 191.99),
        ("maze2d-umaze-v1", 23.85, 161.86), ("maze2d-medium-v1", 13.13, 277.39), ("maze2d-large-v1", 6.7, 273.99), ("maze2d-open-v0", 0.01, 20.66),
        ("maze2d-open-dense-v0", 11.17817, 27.166538620695782), ("maze2d-umaze-dense-v1", 68.537689, 193.66285642381482), ("maze2d-medium-dense-v1", 44.264742, 297.4552547777125),
        ("maze2d-large-dense-v1", 30.569041, 303.4857382709002),
        ("bullet-halfcheetah", -1275.766996, 2381.6725), ("bullet-hopper", 20.058972, 1441.8059623430963), ("bullet-walker2d", 16.523877, 1623.6476303317536), ("bullet-ant", 373.705955, 2650.495),
        ("D4RL/door/human-v2", -45.80706024169922, 2940.578369140625),
    ];

    /// <summary>References of an environment or dataset, by the longest name that it begins with; null if none is known.</summary>
    public static (double Min, double Max)? Find(string id)
    {
        return EnvironmentCatalogue.All.FirstOrDefault(e => e.Id == id) is { ReferenceMin: { } low, ReferenceMax: { } high } ? (low, high) : D4rl(id);
    }

    /// <summary>D4RL's own, without the environments that are registered here.</summary>
    internal static (double Min, double Max)? D4rl(string id)
    {
        var best = Table.Where(t => id.StartsWith(t.Prefix, StringComparison.OrdinalIgnoreCase)).OrderByDescending(t => t.Prefix.Length).FirstOrDefault();
        return best.Prefix is null ? null : (best.Min, best.Max);
    }
}
