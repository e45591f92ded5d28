namespace Engine.Algorithms.Data.Layouts;

/// <summary>The quantities that a table's columns can hold, and the names that tools give them, the more usual first.</summary>
internal static class Quantities
{
    public const string Observations = "observations", Actions = "actions", Rewards = "rewards", Next = "next_observations", Terminals = "terminals", Masks = "masks", Timeouts = "timeouts", Ends = "ends",
        EpisodeTerminals = "episode_terminals", Starts = "episode_starts", Episode = "episode", Lengths = "episode_lengths", Valids = "valids", Index = "index", Indices = "indices";

    private static readonly Dictionary<string, string[]> Synonyms = new()
    {
        [Observations] = ["observations", "obs", "observation", "states", "state", "state_feature", "observation.state", "s", "o", "ob"],
        [Actions] = ["actions", "action", "acts", "act", "a", "u"],
        [Rewards] = ["rewards", "reward", "rews", "rew", "next.reward", "r"],
        [Next] = ["next_observations", "next_obs", "next_observation", "next_states", "next_state", "observations_next", "obs_next", "observation_next", "new_obs", "next_s", "s_next"],
        [Terminals] = ["terminals", "is_terminal", "terminal", "terminations", "termination", "terminated", "next.terminated", "dones", "done", "is_done", "done_bool", "d"],
        // 0 where the task ended.
        [Masks] = ["masks", "mask", "not_done", "not_dones", "notdone", "nonterminals", "nonterminal", "not_terminal", "not_terminals", "non_terminal", "continues", "is_continue", "discounts", "discount"],
        [Timeouts] = ["timeouts", "timeout", "time_outs", "truncations", "truncation", "truncated", "truncates", "is_truncated", "next.truncated"],
        // 1 where a trajectory ends, however; or the row numbers behind the ends.
        [Ends] = ["trajectory_ends", "dones_float", "done_float", "is_last", "episode_ends", "traj_ends", "ends", "is_end", "episode_end", "last", "next.done"],
        [EpisodeTerminals] = ["episode_terminals"],
        // 1 where a trajectory starts, or the row numbers of the starts.
        [Starts] = ["episode_starts", "is_first", "episode_start", "traj_starts", "trajectory_starts", "starts", "is_init", "first"],
        [Episode] = ["episode", "episode_id", "episode_ids", "episode_index", "episode_idx", "episode_num", "episode_number", "episodes", "ep", "ep_id", "ep_idx", "eps_id", "traj", "traj_id", "traj_ids", "traj_idx", "trajectory", "trajectory_id", "trajectory_ids", "run_id"],
        [Lengths] = ["episode_lengths", "lengths", "traj_lengths", "trajectory_lengths", "path_lengths", "traj_lens", "seq_lens"],
        [Valids] = ["valids", "valid", "is_valid", "validity"],
        [Index] = ["index"],
        [Indices] = ["indices"],
    };

    // Parts of names that speak of ends: a column of such a name that is not used is told.
    private static readonly string[] Hints = ["done", "term", "trunc", "timeout", "time_out", "end", "last", "first", "start", "mask", "valid", "episode", "traj", "discount", "final", "reset", "alive", "cont", "absorb", "stop", "fail", "finish", "complete", "over", "length"];

    /// <summary>Names that a column can be mapped to.</summary>
    public static IEnumerable<string> All => Synonyms.Keys;

    /// <summary>What tools call a quantity.</summary>
    public static IReadOnlyList<string> NamesOf(string quantity) => Synonyms[quantity];

    /// <summary>Whether a name could say something about ends.</summary>
    public static bool SpeaksOfEnds(string name) => Array.Exists(Hints, h => name.Contains(h, StringComparison.OrdinalIgnoreCase));
}
