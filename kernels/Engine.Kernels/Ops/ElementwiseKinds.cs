namespace Engine.Kernels;

/// <summary>Elementwise functions of one float tensor.</summary>
public enum UnaryKind
{
    /// <summary>-x; of the smallest int that int.</summary>
    Negate,
    /// <summary>|x|; of the smallest int that int.</summary>
    Abs,
    /// <summary>-1, 0 or 1; the zero keeps its sign, NaN stays NaN.</summary>
    Sign,
    /// <summary>x*x</summary>
    Square,
    /// <summary>1/x</summary>
    Reciprocal,
    /// <summary>Square root; NaN below zero.</summary>
    Sqrt,
    /// <summary>1/sqrt(x)</summary>
    Rsqrt,
    /// <summary>e^x</summary>
    Exp,
    /// <summary>e^x - 1, accurate near zero.</summary>
    Expm1,
    /// <summary>Natural logarithm; -inf at 0, NaN below.</summary>
    Log,
    /// <summary>log(1+x), accurate near zero.</summary>
    Log1p,
    /// <summary>Sine of radians.</summary>
    Sin,
    /// <summary>Cosine of radians.</summary>
    Cos,
    /// <summary>Hyperbolic tangent.</summary>
    Tanh,
    /// <summary>1/(1+e^-x)</summary>
    Sigmoid,
    /// <summary>log(1+e^x) = max(x,0) + log1p(e^-|x|)</summary>
    Softplus,
    /// <summary>x where x > 0, else 0 (NaN stays NaN); derivative 0 at 0.</summary>
    Relu,
    /// <summary>The error function 2/sqrt(pi) * integral of e^(-t^2) from 0 to x.</summary>
    Erf,
    /// <summary>Largest integer not above x.</summary>
    Floor,
    /// <summary>Nearest integer, halves to even.</summary>
    Round,
}

/// <summary>Elementwise functions of two tensors of one type (float, or int where noted).</summary>
public enum BinaryKind
{
    /// <summary>x+y (float, int)</summary>
    Add,
    /// <summary>x-y (float, int)</summary>
    Subtract,
    /// <summary>x*y (float, int)</summary>
    Multiply,
    /// <summary>x/y (float; int truncates towards zero, and is 0 for y = 0)</summary>
    Divide,
    /// <summary>The larger; NaN if either is NaN; +0 above -0 (float, int).</summary>
    Maximum,
    /// <summary>The smaller; NaN if either is NaN; -0 below +0 (float, int).</summary>
    Minimum,
    /// <summary>x^y, as IEEE pow (float).</summary>
    Power,
    /// <summary>x - y*floor(x/y) for float, the remainder with y's sign for int (0 for y = 0).</summary>
    Modulo,
    /// <summary>floor(x/y) (float, int; 0 for y = 0 of ints): with <see cref="Modulo"/> x = y*floor(x/y) + x mod y.</summary>
    FloorDivide,
}

/// <summary>Elementwise comparisons: bool (u8, 0 or 1) out of two floats or two ints. Any comparison with NaN is false
/// but NotEqual, which is true.</summary>
public enum CompareKind
{
    /// <summary>x == y</summary>
    Equal,
    /// <summary>x != y</summary>
    NotEqual,
    /// <summary>x &lt; y</summary>
    Less,
    /// <summary>x &lt;= y</summary>
    LessEqual,
    /// <summary>x > y</summary>
    Greater,
    /// <summary>x >= y</summary>
    GreaterEqual,
}
