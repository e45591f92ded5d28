namespace Engine.Kernels;

/// <summary>A device cannot do what was asked; the message names the op and the device.</summary>
public sealed class DeviceException(string message) : Exception(message);
