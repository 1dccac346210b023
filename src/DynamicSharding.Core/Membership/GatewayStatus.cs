namespace DynamicSharding.Membership;

/// <summary>One gateway's place in or outside the ring, for operators.</summary>
/// <param name="Address"><c>host:port</c>.</param>
/// <param name="State">Where it stands now.</param>
/// <param name="Since">When it came to that state.</param>
/// <param name="Reason">A sentence: why it is in that state.</param>
/// <param name="CheckOutput">What the last health check said, if it said anything.</param>
/// <param name="Overloaded">It answers that its write queue is full, and stays a member for that.</param>
internal sealed record GatewayStatus(
    string Address, GatewayState State, DateTimeOffset Since, string Reason, string? CheckOutput, bool Overloaded);
