using System.Reflection;
using Engine.Algorithms.Diffusion;
using Engine.Algorithms.Flow;
using Engine.Algorithms.GoalConditioned;
using Engine.Algorithms.Online;
using Engine.Algorithms.QEnsembles;
using Engine.Algorithms.ValueBased;
using Engine.Interop;

namespace Engine.Algorithms;

/// <summary>An algorithm Engine can train.</summary>
/// <param name="Name">On the command line and in fixtures.</param>
/// <param name="Summary">One line.</param>
/// <param name="Paper">Where it comes from.</param>
/// <param name="Defaults">Settings with the paper's values.</param>
/// <param name="Discrete">For discrete actions; the others are for continuous ones.</param>
/// <param name="Create">Builds it.</param>
public sealed record AlgorithmEntry(string Name, string Summary, string Paper, AlgorithmSettings Defaults, bool Discrete, Func<AlgorithmContext, AlgorithmSettings, Algorithm> Create)
{
    /// <summary>An entry whose settings have their defaults.</summary>
    /// <param name="name">On the command line and in fixtures.</param>
    /// <param name="summary">One line.</param>
    /// <param name="paper">Where it comes from.</param>
    /// <param name="create">Builds it.</param>
    /// <param name="discrete">For discrete actions; else for continuous ones.</param>
    public static AlgorithmEntry Of<T>(string name, string summary, string paper, Func<AlgorithmContext, T, Algorithm> create, bool discrete = false) where T : AlgorithmSettings, new() =>
        new(name, summary, paper, new T(), discrete, (context, settings) =>
        {
            settings.Validate();
            if (context.ActionSpace is DiscreteActions != discrete)
                throw new SettingsException($"{name} is for {(discrete ? "discrete" : "continuous")} actions, here are {context.ActionSpace}; for them there are {string.Join(", ", AlgorithmCatalogue.All.Where(a => a.Discrete != discrete).Select(a => a.Name))}");
            return create(context, (T)settings);
        });

    /// <summary>Every hyper-parameter: name, default as JSON, description of its source (empty if it has none).</summary>
    public IEnumerable<(string Name, string Default, string Source)> HyperParameters()
    {
        var values = SettingsJson.ToJson(Defaults);
        foreach (var property in Defaults.GetType().GetProperties().Where(p => p.SetMethod is not null).OrderBy(p => p.MetadataToken))
        {
            string name = SettingsJson.NameOf(property);
            yield return (name, values[name]?.ToJsonString() ?? "null", property.GetCustomAttribute<SourceAttribute>()?.Text ?? "");
        }
    }
}

/// <summary>The algorithms, one line each.</summary>
public static class AlgorithmCatalogue
{
    private static readonly Lock Writing = new();
    private static volatile AlgorithmEntry[] _entries = // replaced as a whole, so that others may read meanwhile
    [
        AlgorithmEntry.Of<BcSettings>("bc", "behaviour cloning with a deterministic policy", "CORL any_percent_bc.py", (c, s) => new Bc(c, s)),
        AlgorithmEntry.Of<Td3BcSettings>("td3-bc", "TD3 with a behaviour-cloning term in the policy's loss", "Fujimoto and Gu 2021, arXiv 2106.06860", (c, s) => new Td3Bc(c, s)),
        AlgorithmEntry.Of<RebracSettings>("rebrac", "TD3 with imitation penalties of their own for policy and critics", "Tarasov et al. 2023, arXiv 2305.09836", (c, s) => new Rebrac(c, s)),
        AlgorithmEntry.Of<CqlSettings>("cql", "conservative Q-learning: values of sampled actions pushed down, the data's up", "Kumar et al. 2020, arXiv 2006.04779", (c, s) => new Cql(c, s)),
        AlgorithmEntry.Of<IqlSettings>("iql", "implicit Q-learning: expectile values, advantage-weighted policy", "Kostrikov et al. 2021, arXiv 2110.06169", (c, s) => new Iql(c, s)),
        AlgorithmEntry.Of<XqlSettings>("xql", "extreme Q-learning: V as the soft maximum of Q over the data's actions, by Gumbel regression", "Garg et al. 2023, arXiv 2301.02328", (c, s) => new Xql(c, s)),
        AlgorithmEntry.Of<FDvlSettings>("f-dvl", "implicit Q-learning with V from the dual of an f-divergence", "Sikchi et al. 2024, arXiv 2302.08560", (c, s) => new FDvl(c, s)),
        AlgorithmEntry.Of<CrrSettings>("crr", "critic-regularised regression: imitation of actions that beat the policy's own", "Wang et al. 2020, arXiv 2006.15134; Kang et al. 2023, arXiv 2306.00972", (c, s) => new Crr(c, s)),
        AlgorithmEntry.Of<CalQlSettings>("cal-ql", "CQL whose values are not pushed below the data's returns", "Nakamoto et al. 2023, arXiv 2303.05479", (c, s) => new CalQl(c, s)),
        AlgorithmEntry.Of<CalQlChunkSettings>("cal-ql-chunk", "Cal-QL of action chunks", "Nakamoto et al. 2023, arXiv 2303.05479; chunks: Li et al. 2025, arXiv 2507.07969", (c, s) => new CalQl(c, s)),
        AlgorithmEntry.Of<AwacSettings>("awac", "advantage-weighted actor-critic", "Nair et al. 2020, arXiv 2006.09359", (c, s) => new Awac(c, s)),
        AlgorithmEntry.Of<SacNSettings>("sac-n", "SAC with the minimum over N critics", "An et al. 2021, arXiv 2110.01548", (c, s) => new SacN(c, s)),
        AlgorithmEntry.Of<EdacSettings>("edac", "SAC-N with diversified critics", "An et al. 2021, arXiv 2110.01548", (c, s) => new Edac(c, s)),
        AlgorithmEntry.Of<LbSacSettings>("lb-sac", "SAC-N with a large batch", "Nikulin et al. 2022, arXiv 2211.11092", (c, s) => new LbSac(c, s)),
        AlgorithmEntry.Of<SacSettings>("sac", "soft actor-critic, online", "Haarnoja et al. 2018, arXiv 1812.05905", (c, s) => new Sac(c, s)),
        AlgorithmEntry.Of<RlpdSettings>("rlpd", "SAC online, half of every batch from offline data", "Ball et al. 2023, arXiv 2302.02948", (c, s) => new Rlpd(c, s)),
        AlgorithmEntry.Of<RedqSettings>("redq", "SAC online with an ensemble and many critic steps an update", "Chen et al. 2021, arXiv 2101.05982", (c, s) => new Rlpd(c, s)),
        AlgorithmEntry.Of<DiscreteBcSettings>("discrete-bc", "behaviour cloning of discrete actions", "cross-entropy; d3rlpy DiscreteBC", (c, s) => new DiscreteBc(c, s), discrete: true),
        AlgorithmEntry.Of<DqnSettings>("dqn", "deep Q-learning, double by default, no constraint to the data", "Mnih et al. 2015; van Hasselt et al. 2016, arXiv 1509.06461", (c, s) => new Dqn(c, s), discrete: true),
        AlgorithmEntry.Of<DiscreteCqlSettings>("discrete-cql", "conservative Q-learning of discrete actions", "Kumar et al. 2020, arXiv 2006.04779; d3rlpy DiscreteCQL", (c, s) => new DiscreteCql(c, s), discrete: true),
        AlgorithmEntry.Of<IqlDiscreteSettings>("iql-discrete", "implicit Q-learning of discrete actions", "Kostrikov et al. 2021, arXiv 2110.06169", (c, s) => new IqlDiscrete(c, s), discrete: true),
        AlgorithmEntry.Of<GcbcSettings>("gcbc", "behaviour cloning on the way to goals that the trajectory reaches later", "Ghosh et al. 2019, arXiv 1912.06088; OGBench, arXiv 2410.20092", (c, s) => new Gcbc(c, s)),
        AlgorithmEntry.Of<GcIqlSettings>("gc-iql", "implicit Q-learning of steps to goals, without critics: two value networks and an advantage-weighted policy", "Kostrikov et al. 2021; Park et al. 2023, arXiv 2307.11949", (c, s) => new GcIql(c, s)),
        AlgorithmEntry.Of<FlowBcSettings>("flow-bc", "behaviour cloning by flow matching, of single actions or chunks of them", "the flow policy of Park et al. 2025, arXiv 2502.02538; chunks: Li et al. 2025, arXiv 2507.07969", (c, s) => new FlowBc(c, s)),
        AlgorithmEntry.Of<DiffusionBcSettings>("diffusion-bc", "behaviour cloning by denoising chunks of actions (Diffusion Policy, DiffClone)", "Chi et al. 2023, arXiv 2303.04137", (c, s) => new DiffusionBc(c, s)),
        AlgorithmEntry.Of<FqlSettings>("fql", "flow Q-learning: a flow imitates, a policy of one step follows it and the critics", "Park et al. 2025, arXiv 2502.02538", (c, s) => new Fql(c, s)),
        AlgorithmEntry.Of<IfqlSettings>("ifql", "implicit Q-learning with a flow policy, the best of several actions", "Park et al. 2025, arXiv 2502.02538; Hansen-Estruch et al. 2023", (c, s) => new Ifql(c, s)),
        AlgorithmEntry.Of<QcFqlSettings>("qc-fql", "flow Q-learning of action chunks", "Li et al. 2025, arXiv 2507.07969", (c, s) => new Fql(c, s)),
        AlgorithmEntry.Of<QcSettings>("qc", "Q-learning of action chunks: the best of several chunks of a flow", "Li et al. 2025, arXiv 2507.07969", (c, s) => new Qc(c, s)),
        AlgorithmEntry.Of<DeasSettings>("deas", "implicit Q-learning of action chunks with distributional values that never ask the policy", "Kim et al. 2025, arXiv 2510.07730", (c, s) => new Deas(c, s)),
        AlgorithmEntry.Of<DqcSettings>("dqc", "goal-conditioned Q-learning whose values look over longer chunks of actions than its policy", "Li et al. 2025, arXiv 2512.10926", (c, s) => new Dqc(c, s)),
        AlgorithmEntry.Of<RecapSettings>("recap", "imitation by a flow that is told which actions were better than usual, and asked for such", "Amin et al. 2025, arXiv 2511.14759", (c, s) => new Recap(c, s)),
        AlgorithmEntry.Of<CoRftSettings>("co-rft", "imitation of action chunks, then TD3 with Cal-QL's term and values of every beginning of a chunk", "Huang et al. 2025, arXiv 2508.02219, reconstructed", (c, s) => new CoRft(c, s)),
        AlgorithmEntry.Of<DiffusionQlSettings>("diffusion-ql", "a denoising policy of few steps that imitates and maximises a value through its chain", "Wang et al. 2023, arXiv 2208.06193", (c, s) => new DiffusionQl(c, s)),
        AlgorithmEntry.Of<EdpSettings>("edp", "a denoising policy whose action is approximated in one step, with TD3's or IQL's critics", "Kang et al. 2023, arXiv 2305.20081", (c, s) => new Edp(c, s)),
        AlgorithmEntry.Of<IdqlSettings>("idql", "IQL's critics choose among the actions of a denoising policy that imitates", "Hansen-Estruch et al. 2023, arXiv 2304.10573", (c, s) => new Idql(c, s)),
        AlgorithmEntry.Of<ExpoSettings>("expo", "a denoising policy that imitates, a policy of edits, and the best action of both; offline, then online", "Dong et al. 2025, arXiv 2507.07986", (c, s) => new Expo(c, s)),
        AlgorithmEntry.Of<SyntherSettings>("synther", "a generator of transitions, to train others on more data than there is", "Lu et al. 2023, arXiv 2303.06614", (c, s) => new Synther(c, s)),
        AlgorithmEntry.Of<DiffuserSettings>("diffuser", "plans by denoising whole trajectories, led by the gradient of a value", "Janner et al. 2022, arXiv 2205.09991", (c, s) => new Diffuser(c, s)),
        AlgorithmEntry.Of<SsOrlSettings>("ss-orl", "any method on trajectories of which some have no actions: an inverse-dynamics model labels them", "Zheng et al. 2023, arXiv 2210.06518", (c, s) => new SsOrl(c, s)),
        AlgorithmEntry.Of<OapSettings>("oap", "TD3+BC, held to the data where an expert prefers the data's action to the policy's", "Yang et al. 2023, arXiv 2306.03362", (c, s) => new Oap(c, s)),
        AlgorithmEntry.Of<RecoilSettings>("recoil", "imitation of an expert by the help of any other data, without rewards", "Sikchi et al. 2024, arXiv 2302.08560", (c, s) => new Recoil(c, s)),
        AlgorithmEntry.Of<CqlPlusSettings>("cql-plus", "CQL with the implementation's choices that a study found best", "Kang et al. 2023, arXiv 2306.00972", (c, s) => new Cql(c, s)),
        AlgorithmEntry.Of<CocoaSettings>("cocoa", "any method, whose networks see an anchor near the data and the difference from it", "Song et al. 2024, arXiv 2404.04682", (c, s) => new Cocoa(c, s)),
    ];

    /// <summary>All, in the order they are listed.</summary>
    public static IReadOnlyList<AlgorithmEntry> All => _entries;

    /// <summary>Adds one of another assembly; one of the same name makes room.</summary>
    public static void Register(AlgorithmEntry entry)
    {
        lock (Writing) _entries = [.. _entries.Where(e => e.Name != entry.Name), entry];
    }

    /// <summary>The algorithm of that name.</summary>
    /// <exception cref="SettingsException">There is none; the message names the nearest.</exception>
    public static AlgorithmEntry Find(string name) => All.FirstOrDefault(a => a.Name == name)
        ?? throw new SettingsException($"algorithm {name} is unknown; {NearNames.Describe(name, All.Select(a => a.Name))}");
}
