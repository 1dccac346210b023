namespace DynamicSharding.Ring;

/// <summary>A gateway's part before and after a change; the ratios (0 to 1) are null where it is no member.</summary>
internal sealed record GatewayShare(
    string Address, double? RatioBefore = null, double? RatioAfter = null, int KeysBefore = 0, int KeysAfter = 0);
