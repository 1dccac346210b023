using System.Globalization;

namespace DynamicSharding.Config;

/// <summary>How many descriptors this process may open, as the kernel says it in words; the runtime has raised it to the hard limit.</summary>
internal static class OpenFileLimit
{
    private const string Line = "Max open files";

    /// <summary>Null when it is unlimited, or the machine does not tell.</summary>
    public static int? Current
    {
        get
        {
            try
            {
                string? line = File.ReadLines("/proc/self/limits").FirstOrDefault(line => line.StartsWith(Line, StringComparison.Ordinal));
                string? soft = line?[Line.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
                return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) ? limit : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }
}
