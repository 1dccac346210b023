namespace DynamicSharding.Routing;

/// <summary>What <see cref="GroupingKey"/> found.</summary>
internal enum GroupVerdict : byte
{
    /// <summary>A push path: <see cref="GroupingKey.Hash"/> is set.</summary>
    Group,

    /// <summary>Another path: 404.</summary>
    NotAGroup,

    /// <summary>No valid path: <see cref="GroupingKey.Reason"/> says why (400).</summary>
    Rejected,
}
