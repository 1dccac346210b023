namespace DynamicSharding.LoadTests.Model;

/// <summary>Why a request did not get the answer that is right.</summary>
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
