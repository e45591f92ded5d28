namespace Engine.Kernels;

/// <summary>Switches from outside: environment variables.</summary>
public static class EnvironmentSwitch
{
    /// <summary>Whether the variable is set to something other than 0.</summary>
    public static bool IsSet(string variable) => Environment.GetEnvironmentVariable(variable) is not (null or "" or "0");
}
