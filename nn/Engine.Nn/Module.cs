using Engine.Autodiff;

namespace Engine.Nn;

/// <summary>A part of a model that has parameters: a layer, a network, an ensemble, a policy.</summary>
public abstract class Module
{
    /// <summary>All parameters, layer by layer.</summary>
    public abstract IEnumerable<Variable> Parameters { get; }
}

/// <summary>Several modules as one.</summary>
/// <param name="parts">In order.</param>
public sealed class Modules(params Module[] parts) : Module
{
    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => parts.SelectMany(p => p.Parameters);
}

/// <summary>Parameters that belong to no layer, as a module.</summary>
/// <param name="parameters">In order.</param>
public sealed class ParameterList(params Variable[] parameters) : Module
{
    /// <inheritdoc/>
    public override IEnumerable<Variable> Parameters => parameters;
}
