namespace DynamicSharding.LoadTests.Model;

/// <summary>Why a request failed.</summary>
internal enum FailureKind
{
    ConnectFailed,
    Reset,
    ClosedEarly,
    WrongStatus,
    WrongLocation,
    BadReply,
    Timeout,

    /// <summary>Due, but no connection was free for it before the run ended.</summary>
    Unsent,
}
