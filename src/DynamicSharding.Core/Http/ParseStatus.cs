namespace DynamicSharding.Http;

/// <summary>The three answers of a parser.</summary>
internal enum ParseStatus : byte
{
    /// <summary>The input is a good beginning; more bytes are needed.</summary>
    NeedMore,

    Done,

    /// <summary>The input is wrong; the parser's <c>Reason</c> says why.</summary>
    Rejected,
}
