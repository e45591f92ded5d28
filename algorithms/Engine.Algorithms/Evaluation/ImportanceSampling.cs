using System.Text.Json.Nodes;

namespace Engine.Algorithms.Evaluation;

/// <summary>
/// Estimates of a policy's value from trajectories of another, by the ratios of their chances (Precup et al. 2000; Thomas 2015): each trajectory counts as much as the policy would have made it.
/// </summary>
/// <param name="Ordinary">The mean of ratio times return.</param>
/// <param name="Weighted">The same over the mean ratio.</param>
/// <param name="PerDecision">The mean of the sums of each reward times the ratio up to its step.</param>
/// <param name="WeightedPerDecision">The same with the ratios of a step over their mean.</param>
/// <param name="EffectiveSampleSize">How many trajectories of the policy's own would say as much: the squared sum of the ratios over the sum of their squares.</param>
public sealed record ImportanceSampling(double Ordinary, double Weighted, double PerDecision, double WeightedPerDecision, double EffectiveSampleSize)
{
    /// <summary>The estimates.</summary>
    /// <param name="ratios">Of every trajectory and step: the chance of its action under the policy over that under the behaviour.</param>
    /// <param name="rewards">Of every trajectory and step; trajectories may end at different steps.</param>
    /// <param name="discount">In [0, 1].</param>
    /// <param name="whole">Filled with the ratio of each whole trajectory, if given.</param>
    /// <param name="returns">Filled with the discounted return of each, if given.</param>
    public static ImportanceSampling Of(IReadOnlyList<double[]> ratios, IReadOnlyList<double[]> rewards, double discount, double[]? whole = null, double[]? returns = null)
    {
        int count = ratios.Count, steps = rewards.Max(r => r.Length);
        var (product, sum) = (new double[count], new double[count]);
        Array.Fill(product, 1);
        double perDecision = 0, weightedPerDecision = 0, weight = 1;
        for (int t = 0; t < steps; t++, weight *= discount)
        {
            double earned = 0, all = 0;
            for (int i = 0; i < count; i++)
            {
                // A trajectory that has ended keeps its ratio, and earns nothing.
                if (t < rewards[i].Length)
                {
                    product[i] *= ratios[i][t];
                    sum[i] += weight * rewards[i][t];
                    earned += product[i] * weight * rewards[i][t];
                }
                all += product[i];
            }
            perDecision += earned / count;
            weightedPerDecision += all == 0 ? 0 : earned / all;
        }
        product.CopyTo(whole ?? new double[count], 0);
        sum.CopyTo(returns ?? new double[count], 0);
        double total = product.Sum(), value = product.Zip(sum, (w, g) => w * g).Sum();
        return new ImportanceSampling(value / count, value / total, perDecision, weightedPerDecision, total * total / product.Sum(w => w * w));
    }

    /// <summary>What the fixture records: a small known problem, its true values, and the estimates.</summary>
    internal static void Recorded(Func<string, double[]> input, JsonObject settings, Action<string, double[]> report)
    {
        int states = (int)settings["states"]!, actions = (int)settings["actions"]!, count = (int)settings["trajectories"]!, steps = (int)settings["steps"]!;
        double discount = (double)settings["discount"]!;
        double[] reward = input("reward"), stop = input("stop"), transition = input("transition"), start = input("start"), target = input("target_policy"), behaviour = input("behaviour_policy");

        double[] Value(double[] q, double[] policy) => Enumerable.Range(0, states).Select(s => Enumerable.Range(0, actions).Sum(a => policy[s * actions + a] * q[s * actions + a])).ToArray();
        double Start(double[] values) => values.Zip(start, (v, p) => v * p).Sum();
        double[] True(double[] policy)
        {
            // A contraction: iterated until nothing changes.
            var q = new double[states * actions];
            for (int i = 0; i < 10_000; i++)
            {
                var v = Value(q, policy);
                q = Enumerable.Range(0, q.Length).Select(sa => reward[sa] + discount * (1 - stop[sa]) * Enumerable.Range(0, states).Sum(n => transition[sa * states + n] * v[n])).ToArray();
            }
            return q;
        }
        double[] exact = True(target);
        report("true_q", exact);
        report("true_value", [Start(Value(exact, target))]);
        report("true_behaviour_value", [Start(Value(True(behaviour), behaviour))]);

        int[] At(string name) => Array.ConvertAll(input(name), v => (int)v);
        int[] at = At("states"), chosen = At("actions"), next = At("next_states");
        double[] rewards = input("rewards"), terminals = input("terminals"), valid = input("valid");
        var rows = Enumerable.Range(0, count * steps).Where(i => valid[i] != 0).ToArray();
        var estimate = new double[states * actions];
        var values = new List<double>();
        for (int iteration = 0; iteration < (int)settings["fqe_iterations"]!; iteration++)
        {
            var v = Value(estimate, target);
            var (sums, seen) = (new double[states * actions], new int[states * actions]);
            foreach (int i in rows)
            {
                int sa = at[i] * actions + chosen[i];
                sums[sa] += rewards[i] + discount * (1 - terminals[i]) * v[next[i]];
                seen[sa]++;
            }
            estimate = sums.Zip(seen, (s, n) => n == 0 ? 0 : s / n).ToArray();
            values.Add(Start(Value(estimate, target)));
        }
        report("fqe_q", estimate);
        report("fqe_values", values.ToArray());
        var final = Value(estimate, target);
        report("fqe_initial", [Enumerable.Range(0, count).Average(i => final[at[i * steps]])]);

        double[][] PerTrajectory(Func<int, double> of) => Enumerable.Range(0, count).Select(k => Enumerable.Range(k * steps, steps).Where(i => valid[i] != 0).Select(of).ToArray()).ToArray();
        var (whole, returns) = (new double[count], new double[count]);
        var estimates = Of(PerTrajectory(i => target[at[i] * actions + chosen[i]] / behaviour[at[i] * actions + chosen[i]]), PerTrajectory(i => rewards[i]), discount, whole, returns);
        report("ratios", whole);
        report("returns", returns);
        report("importance_sampling", [estimates.Ordinary]);
        report("weighted_importance_sampling", [estimates.Weighted]);
        report("per_decision", [estimates.PerDecision]);
        report("weighted_per_decision", [estimates.WeightedPerDecision]);
        report("effective_sample_size", [estimates.EffectiveSampleSize]);
    }
}
