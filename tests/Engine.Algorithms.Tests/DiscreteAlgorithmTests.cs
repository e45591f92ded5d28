using Engine.Algorithms.Batches;
using Engine.Autodiff;
using Engine.Kernels;
using Engine.Kernels.Cpu;

namespace Engine.Algorithms.Tests;

/// <summary>
/// DQN and discrete behaviour cloning have no recorded fixture: one update is compared with plain loops in float64, the gradients (seen in Adam's
/// first moment, which is 0.1 of them after one step) with central differences of those loops.
/// </summary>
public class DiscreteAlgorithmTests
{
    private const int Rows = 6, Inputs = 3, Hidden = 5, Actions = 4;

    [Theory]
    [InlineData("dqn", "double_q", "true")]
    [InlineData("dqn", "double_q", "false")]
    [InlineData("dqn", "huber_delta", "0.3")]
    [InlineData("discrete-bc", "logit_penalty", "0.5")]
    [InlineData("discrete-bc", "logit_penalty", "0")]
    public void One_update_equals_plain_loops(string name, string key, string value)
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var entry = AlgorithmCatalogue.Find(name);
        var settings = SettingsJson.With(entry.Defaults, new[] { ("hidden_sizes", "[5]"), ("batch_size", "6"), ("normalize_observations", "false"), (key, value) }
            .Select(s => KeyValuePair.Create(s.Item1, SettingsJson.ParseValue(s.Item2))));
        var algorithm = entry.Create(new AlgorithmContext(state, 1, new Spaces(Inputs, new DiscreteActions(Actions))), settings);
        string network = name == "dqn" ? "critics" : "actor";
        if (name == "dqn") // so that target and online network differ
            state.Write("target_critics.layer1.weight", Array.ConvertAll(Sample("other", Hidden * Actions), v => (float)v));

        var columns = new Dictionary<string, double[]>
        {
            ["observations"] = Sample("observations", Rows * Inputs),
            ["actions"] = [0, 3, 1, 2, 2, 0],
            ["rewards"] = Sample("rewards", Rows),
            ["next_observations"] = Sample("next", Rows * Inputs),
            ["terminals"] = [0, 1, 0, 0, 1, 0],
        };
        var graph = new Graph();
        var stage = algorithm.Stages[0];
        algorithm.TraceUpdate(stage, graph, new FedBatch(graph, stage, algorithm.Context.Spaces, Rows, "").Read, stage.DueAt(0));
        var interpreter = new Interpreter<double>(graph);
        interpreter.Load(state);
        foreach (var (column, values) in columns)
            if (graph.Inputs.ContainsKey(column)) values.CopyTo(interpreter.Input(column).Floats, 0);

        string[] names = [$"{network}.layer0.weight", $"{network}.layer0.bias", $"{network}.layer1.weight", $"{network}.layer1.bias"];
        var parameters = names.ToDictionary(n => n, n => Array.ConvertAll(state.Read(n), v => (double)v));
        var targets = name == "dqn" ? names.ToDictionary(n => n, n => Array.ConvertAll(state.Read("target_" + n), v => (double)v)) : null;
        // The next action and the target are constants of the step, taken before it.
        double[] target = targets is null ? [] : Target(columns, Network(parameters, names, columns["next_observations"]), Network(targets, names, columns["next_observations"]), key != "double_q" || value == "true");
        double Loss() => name == "dqn"
            ? Huber(Network(parameters, names, columns["observations"]), columns["actions"], target, key == "huber_delta" ? 0.3 : 1)
            : CrossEntropy(Network(parameters, names, columns["observations"]), columns["actions"], value == "0" ? 0 : 0.5);

        double loss = Loss();
        interpreter.Run();
        Assert.Equal(loss, interpreter.Output(name == "dqn" ? "critic_loss" : "actor_loss").Floats[0], 1e-12);
        foreach (string parameter in names)
        {
            var moment = interpreter.Variable("adam.first_moment." + parameter, state[parameter].Type).Floats;
            for (int i = 0; i < moment.Length; i++)
            {
                double old = parameters[parameter][i], step = 1e-6;
                parameters[parameter][i] = old + step;
                double up = Loss();
                parameters[parameter][i] = old - step;
                double down = Loss();
                parameters[parameter][i] = old;
                Assert.Equal((up - down) / (2 * step), moment[i] / 0.1, 1e-6);
            }
        }
        if (targets is null) return;
        // Polyak: 0.995 of the old target and 0.005 of the new network.
        for (int i = 0; i < Actions; i++)
            Assert.Equal(0.995 * targets[names[3]][i] + 0.005 * interpreter.Variable(names[3], state[names[3]].Type).Floats[i], interpreter.Variable("target_" + names[3], state[names[3]].Type).Floats[i], 1e-12);
    }

    [Fact]
    public void The_wrong_kind_of_actions_is_refused()
    {
        using var device = new CpuDevice();
        using var state = new State(device);
        var dqn = AlgorithmCatalogue.Find("dqn");
        Assert.Contains("for discrete actions", Assert.Throws<SettingsException>(() => dqn.Create(new AlgorithmContext(state, 0, new Spaces(3, ActionBounds.Unit(1))), dqn.Defaults)).Message, StringComparison.Ordinal);
        var iql = AlgorithmCatalogue.Find("iql");
        Assert.Contains("discrete-bc, dqn", Assert.Throws<SettingsException>(() => iql.Create(new AlgorithmContext(state, 0, new Spaces(3, new DiscreteActions(2))), iql.Defaults)).Message, StringComparison.Ordinal);
    }

    private static double[] Sample(string name, int count)
    {
        var stream = new PhiloxStream(5, name);
        return Enumerable.Range(0, count).Select(_ => (double)(float)stream.NextUniform(-1, 1)).ToArray();
    }

    /// <summary>Linear, relu, linear: [Rows, Actions].</summary>
    private static double[] Network(Dictionary<string, double[]> parameters, string[] names, double[] x)
    {
        var result = new double[Rows * Actions];
        for (int row = 0; row < Rows; row++)
        {
            var hidden = new double[Hidden];
            for (int h = 0; h < Hidden; h++)
            {
                double sum = parameters[names[1]][h];
                for (int i = 0; i < Inputs; i++) sum += x[row * Inputs + i] * parameters[names[0]][i * Hidden + h];
                hidden[h] = Math.Max(sum, 0);
            }
            for (int a = 0; a < Actions; a++)
            {
                double sum = parameters[names[3]][a];
                for (int h = 0; h < Hidden; h++) sum += hidden[h] * parameters[names[2]][h * Actions + a];
                result[row * Actions + a] = sum;
            }
        }
        return result;
    }

    private static double[] Target(Dictionary<string, double[]> columns, double[] online, double[] slow, bool twice) => Enumerable.Range(0, Rows).Select(row =>
    {
        var chooser = (twice ? online : slow).AsSpan(row * Actions, Actions).ToArray();
        double next = slow[row * Actions + Array.IndexOf(chooser, chooser.Max())];
        return columns["rewards"][row] + 0.99 * (1 - columns["terminals"][row]) * next;
    }).ToArray();

    private static double Huber(double[] values, double[] actions, double[] target, double delta) => Enumerable.Range(0, Rows).Average(row =>
    {
        double error = Math.Abs(values[row * Actions + (int)actions[row]] - target[row]);
        return error < delta ? error * error / 2 : delta * (error - delta / 2);
    });

    private static double CrossEntropy(double[] logits, double[] actions, double penalty) => Enumerable.Range(0, Rows).Average(row =>
    {
        var own = logits.AsSpan(row * Actions, Actions).ToArray();
        double all = Math.Log(own.Sum(Math.Exp));
        return all - own[(int)actions[row]] + penalty * own.Average(v => (v - all) * (v - all));
    });
}
