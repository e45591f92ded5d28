using System.Reflection;
using System.Reflection.Emit;

namespace Engine.Kernels.Ilgpu.Runtime;

/// <summary>Writes what one work-item does.</summary>
/// <param name="il">Where to.</param>
/// <param name="index">The work-item's number.</param>
internal delegate void WriteWorkItem(ILGenerator il, LocalBuilder index);

/// <summary>A kernel before it is compiled: what a work-item of a number does, in IL. Its parameters are views and numbers; the schedule, which differs from accelerator to accelerator, is added when it is compiled.</summary>
/// <param name="Key">Equal for equal kernels.</param>
/// <param name="Name">What is computed, for people.</param>
/// <param name="Parameters">Types of the parameters: views of int, float, ushort or byte, and int, float, ushort or byte.</param>
/// <param name="Write">Writes the work-item; the parameters are the method's first.</param>
internal sealed record KernelSource(string Key, string Name, Type[] Parameters, WriteWorkItem Write)
{
    /// <summary>A function whose first parameter is the work-item's number.</summary>
    public static KernelSource Of(MethodInfo function)
    {
        var parameters = function.GetParameters().Skip(1).Select(p => p.ParameterType).ToArray();
        string types = string.Join(",", function.GetGenericArguments().Concat(function.DeclaringType!.GetGenericArguments()).Select(t => t.Name));
        return new($"{function.DeclaringType!.FullName}.{function.Name}<{types}>", function.Name + (types.Length > 0 ? "_" + types.Replace(',', '_') : ""), parameters, (il, index) =>
        {
            il.Emit(OpCodes.Ldloc, index);
            for (int i = 0; i < parameters.Length; i++) il.Emit(OpCodes.Ldarg, i);
            il.Emit(OpCodes.Call, function);
        });
    }

    /// <summary>A function by name.</summary>
    /// <param name="type">Where it is.</param>
    /// <param name="name">Its name.</param>
    /// <param name="arguments">Type arguments, if it is generic.</param>
    public static KernelSource Of(Type type, string name, params Type[] arguments)
    {
        var function = type.GetMethod(name, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)!;
        return Of(arguments.Length > 0 ? function.MakeGenericMethod(arguments) : function);
    }
}
