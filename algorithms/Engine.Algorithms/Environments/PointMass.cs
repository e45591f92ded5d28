namespace Engine.Algorithms.Environments;

/// <summary>How MuJoCo solves a contact between the ball and a wall; it changed between versions.</summary>
/// <param name="Margin">Metres: a contact acts below this distance.</param>
/// <param name="Regularisation">Diagonal of the contact's inverse mass, times the mass.</param>
public sealed record ContactPreset(double Margin, double Regularisation)
{
    /// <summary>MuJoCo 2.2.2, as in D4RL's time.</summary>
    public static ContactPreset MuJoCo222 { get; } = new(0.002, 2 / 3.0);

    /// <summary>MuJoCo 3.3.8.</summary>
    public static ContactPreset MuJoCo338 { get; } = new(0.002, 1);

    /// <summary>MuJoCo 3.14, where the margins of ball and wall add.</summary>
    public static ContactPreset MuJoCo314 { get; } = new(0.004, 1);
}

/// <summary>
/// The dynamics of D4RL's maze2d: a ball of radius 0.1 m and density 1000 kg/m³ on two damped slide joints (damping 1, gear 100, step 0.01 s) among walls that are unit boxes, with
/// MuJoCo's soft, frictionless contacts (solref 0.02, 1; solimp 0.9, 0.95, 0.001, 0.5, 2). One step agrees with MuJoCo 2.2.2 to about 1e-15.
/// </summary>
public sealed class PointMass(Maze maze, ContactPreset contacts)
{
    private const double Radius = 0.1, TimeStep = 0.01, Gear = 100, MaxSpeed = 5, Offset = 1.2;
    private const double Mass = 4.0 / 3 * Math.PI * Radius * Radius * Radius * 1000;
    private const double Stiffness = 1 / (0.95 * 0.95 * 0.02 * 0.02), Damping = 2 / (0.95 * 0.02);
    private const int MaxContacts = 9;

    /// <summary>One step of 0.01 s.</summary>
    /// <param name="x">Position along the maze's rows (metres; the world's is 1.2 more); y along its columns.</param>
    /// <param name="y">Position along its columns.</param>
    /// <param name="vx">Velocity, m/s; clipped to ±5 before the step.</param>
    /// <param name="vy">Velocity along the columns.</param>
    /// <param name="ax">Action, clipped to ±1; force is 100 N times it.</param>
    /// <param name="ay">Action along the columns.</param>
    /// <returns>Number of contacts that were active.</returns>
    public int Step(ref double x, ref double y, ref double vx, ref double vy, double ax, double ay)
    {
        vx = Math.Clamp(vx, -MaxSpeed, MaxSpeed);
        vy = Math.Clamp(vy, -MaxSpeed, MaxSpeed);
        double fx = (Gear * Math.Clamp(ax, -1, 1) - vx) / Mass, fy = (Gear * Math.Clamp(ay, -1, 1) - vy) / Mass;
        int active = AddContacts(x + Offset, y + Offset, vx, vy, ref fx, ref fy);
        // Euler with the joints' damping taken implicitly.
        double factor = TimeStep * Mass / (Mass + TimeStep);
        vx += factor * fx;
        vy += factor * fy;
        x += TimeStep * vx;
        y += TimeStep * vy;
        return active;
    }

    /// <summary>Adds the acceleration by contacts to a smooth acceleration.</summary>
    private int AddContacts(double cx, double cy, double vx, double vy, ref double fx, ref double fy)
    {
        Span<double> nx = stackalloc double[MaxContacts], ny = stackalloc double[MaxContacts], wanted = stackalloc double[MaxContacts], regularisation = stackalloc double[MaxContacts];
        int count = 0, row = (int)Math.Floor(cx - 0.5), column = (int)Math.Floor(cy - 0.5);
        for (int i = row - 1; i <= row + 1; i++)
            for (int j = column - 1; j <= column + 1; j++)
            {
                if (!maze.IsWall(i, j)) continue;
                double ex = cx - Math.Clamp(cx, i + 0.5, i + 1.5), ey = cy - Math.Clamp(cy, j + 0.5, j + 1.5);
                double length = Math.Sqrt(ex * ex + ey * ey);
                double distance = length - Radius;
                if (distance >= contacts.Margin) continue;
                if (length == 0) // the centre itself is inside the wall: out through the nearest face
                {
                    double toLow = cx - (i + 0.5), toHigh = i + 1.5 - cx, toLeft = cy - (j + 0.5), toRight = j + 1.5 - cy;
                    double least = Math.Min(Math.Min(toLow, toHigh), Math.Min(toLeft, toRight));
                    (ex, ey) = least == toLow ? (-1, 0) : least == toHigh ? (1, 0) : least == toLeft ? (0, -1) : (0.0, 1.0);
                    (length, distance) = (1, -least - Radius);
                }
                (nx[count], ny[count]) = (ex / length, ey / length);
                double r = distance - contacts.Margin, depth = Math.Min(Math.Abs(r) / 0.001, 1);
                double impedance = 0.9 + 0.05 * (depth <= 0.5 ? 2 * depth * depth : 1 - 2 * (1 - depth) * (1 - depth));
                double reference = -Damping * (nx[count] * vx + ny[count] * vy) - Stiffness * impedance * r;
                wanted[count] = reference - (nx[count] * fx + ny[count] * fy);
                regularisation[count] = (1 - impedance) / impedance * contacts.Regularisation / Mass;
                count++;
            }
        if (count == 0) return 0;

        Span<double> force = stackalloc double[MaxContacts];
        Solve(nx[..count], ny[..count], wanted, regularisation, force);
        for (int i = 0; i < count; i++)
        {
            fx += nx[i] * force[i] / Mass;
            fy += ny[i] * force[i] / Mass;
        }
        return count;
    }

    /// <summary>Forces f at least 0 with (N Nᵀ / m + diag R) f at least what is wanted, and equal to it where f is positive. The matrix is positive definite, so exactly one set of
    /// contacts pushes; with a handful of them all sets are tried.</summary>
    private static void Solve(ReadOnlySpan<double> nx, ReadOnlySpan<double> ny, ReadOnlySpan<double> wanted, ReadOnlySpan<double> regularisation, Span<double> force)
    {
        int count = nx.Length;
        Span<double> matrix = stackalloc double[MaxContacts * MaxContacts], work = stackalloc double[MaxContacts * (MaxContacts + 1)], candidate = stackalloc double[MaxContacts];
        Span<int> members = stackalloc int[MaxContacts];
        for (int i = 0; i < count; i++)
            for (int j = 0; j < count; j++) matrix[i * count + j] = (nx[i] * nx[j] + ny[i] * ny[j]) / Mass + (i == j ? regularisation[i] : 0);

        double least = double.PositiveInfinity;
        for (int set = (1 << count) - 1; set >= 0; set--)
        {
            int size = 0;
            for (int i = 0; i < count; i++)
                if ((set >> i & 1) != 0) members[size++] = i;
            Eliminate(matrix, count, members[..size], wanted, work, candidate);
            double violation = 0;
            for (int i = 0; i < count; i++)
            {
                if ((set >> i & 1) != 0)
                {
                    violation = Math.Max(violation, -candidate[i]);
                    continue;
                }
                double reached = 0;
                for (int j = 0; j < count; j++) reached += matrix[i * count + j] * candidate[j];
                violation = Math.Max(violation, wanted[i] - reached);
            }
            if (violation >= least) continue;
            least = violation;
            candidate[..count].CopyTo(force);
            if (violation == 0) return;
        }
    }

    /// <summary>Gaussian elimination on the members' rows and columns; the others get 0. Without pivoting: the matrix is positive definite.</summary>
    private static void Eliminate(ReadOnlySpan<double> matrix, int count, ReadOnlySpan<int> members, ReadOnlySpan<double> wanted, Span<double> work, Span<double> result)
    {
        int n = members.Length, width = n + 1;
        result.Clear();
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++) work[i * width + j] = matrix[members[i] * count + members[j]];
            work[i * width + n] = wanted[members[i]];
        }
        for (int p = 0; p < n; p++)
            for (int i = p + 1; i < n; i++)
            {
                double factor = work[i * width + p] / work[p * width + p];
                for (int j = p; j <= n; j++) work[i * width + j] -= factor * work[p * width + j];
            }
        for (int i = n - 1; i >= 0; i--)
        {
            double sum = work[i * width + n];
            for (int j = i + 1; j < n; j++) sum -= work[i * width + j] * result[members[j]];
            result[members[i]] = sum / work[i * width + i];
        }
    }
}
