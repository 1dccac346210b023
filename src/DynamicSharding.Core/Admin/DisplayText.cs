using System.Globalization;

namespace DynamicSharding.Admin;

/// <summary>Numbers and times for people.</summary>
internal static class DisplayText
{
    /// <summary>A small share is not shown as none.</summary>
    public static string Percent(double ratio) => ratio is > 0 and < 0.0005
        ? "<0.1%"
        : (ratio * 100).ToString("0.0", CultureInfo.InvariantCulture) + "%";

    public static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    public static string Rate(double perSecond) => perSecond.ToString(perSecond is > 0 and < 100 ? "0.0" : "#,0", CultureInfo.InvariantCulture);

    /// <summary>The two largest units.</summary>
    public static string Age(TimeSpan age) => age switch
    {
        _ when age < TimeSpan.FromSeconds(1) => "0 s",
        _ when age < TimeSpan.FromMinutes(1) => string.Create(CultureInfo.InvariantCulture, $"{age.Seconds} s"),
        _ when age < TimeSpan.FromHours(1) => string.Create(CultureInfo.InvariantCulture, $"{age.Minutes} min {age.Seconds} s"),
        _ when age < TimeSpan.FromDays(1) => string.Create(CultureInfo.InvariantCulture, $"{age.Hours} h {age.Minutes} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{age.Days} d {age.Hours} h"),
    };

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) + " UTC";

    /// <summary>For the <c>datetime</c> attribute.</summary>
    public static string Machine(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    /// <summary>"1 gateway", "2 gateways".</summary>
    public static string Number(long count, string noun) => Count(count) + " " + noun + (count == 1 ? "" : "s");
}
