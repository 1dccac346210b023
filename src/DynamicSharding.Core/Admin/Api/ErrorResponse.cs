namespace DynamicSharding.Admin.Api;

internal sealed record ErrorResponse(string Error);
