using Engine.Nn;

namespace Engine.Algorithms.Networks;

/// <summary>Where layer normalisation stands in a hidden layer.</summary>
public enum LayerNormPosition
{
    /// <summary>Between the linear layer and the activation.</summary>
    BeforeActivation,
    /// <summary>After the activation.</summary>
    AfterActivation,
}

/// <summary>Layer normalisation as a choice of settings.</summary>
public static class LayerNorms
{
    /// <summary>The same hidden layers with layer normalisation in each, of every member's own; as they are where it is off.</summary>
    public static MlpSettings WithLayerNorm(this MlpSettings network, bool on, LayerNormPosition position, double epsilon) => !on ? network : network with
    {
        LayerNormEpsilon = epsilon,
        LayerNormAfterActivation = position == LayerNormPosition.AfterActivation,
        LayerNormPerMember = true,
    };
}
