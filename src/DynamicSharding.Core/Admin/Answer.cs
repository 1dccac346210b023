using System.Diagnostics.CodeAnalysis;

namespace DynamicSharding.Admin;

/// <summary>What was asked for, or a status and one sentence why not.</summary>
internal readonly record struct Answer<T>(T? Found, int Status, string? Error)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Found))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsFound => Found is not null;

    public static Answer<T> Of(T found) => new(found, 200, null);

    public static Answer<T> Bad(string error) => new(null, 400, error);

    public static Answer<T> NoRing { get; } = new(null, 503, "there is no ring yet");
}
