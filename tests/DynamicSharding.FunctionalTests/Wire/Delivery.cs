namespace DynamicSharding.FunctionalTests.Wire;

/// <summary>How the bytes of a request arrive.</summary>
public enum Delivery
{
    Whole,
    ByteByByte,
}
