using System.Globalization;
using System.Text;
using DynamicSharding.Ring;

namespace DynamicSharding.Tests.Ring;

/// <summary>The ring's definition in its simplest form, to compare with the fast one.</summary>
internal static class RingModel
{
    public static SortedDictionary<uint, string> Points(IEnumerable<string> addresses, int replicas)
    {
        var points = new SortedDictionary<uint, string>();
        foreach (string address in addresses.Order(StringComparer.Ordinal))
        {
            for (int i = 0; i < replicas; i++)
            {
                points[MurmurHash3.Hash32(Encoding.UTF8.GetBytes(i.ToString(CultureInfo.InvariantCulture) + address))] = address;
            }
        }

        return points;
    }
}
