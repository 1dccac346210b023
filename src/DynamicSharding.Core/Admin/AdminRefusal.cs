namespace DynamicSharding.Admin;

/// <summary>Why the admin listener turned a request away.</summary>
internal enum AdminRefusal
{
    /// <summary>No credentials, or wrong ones.</summary>
    Unauthorized,

    /// <summary>Too many passwords are being checked already.</summary>
    Busy,

    /// <summary>Sent by a page of another origin.</summary>
    CrossOrigin,
}
