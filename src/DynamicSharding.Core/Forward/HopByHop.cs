using Microsoft.AspNetCore.Http;

namespace DynamicSharding.Forward;

/// <summary>
/// Fields that are for one connection (RFC 9110 7.6.1). The proxy library knows the standard ones; these are what it leaves: whatever
/// <c>Connection</c> names, <c>Upgrade</c>, which it would carry out, and <c>Expect</c>, which is answered here.
/// </summary>
internal static class HopByHop
{
    public static void RemoveFrom(IHeaderDictionary fields)
    {
        RemoveNamed(fields, fields.GetCommaSeparatedValues("Connection"));
        fields.Remove("Upgrade");
        fields.Remove("Expect");
    }

    /// <param name="fields">Theirs is the message.</param>
    /// <param name="names">The options of its Connection field.</param>
    public static void RemoveNamed(IHeaderDictionary fields, IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            // The content's framing and its address are not the connection's to take away.
            if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) || name.Equals("Host", StringComparison.OrdinalIgnoreCase)) continue;
            fields.Remove(name);
        }
    }
}
