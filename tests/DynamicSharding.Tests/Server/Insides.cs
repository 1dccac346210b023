using System.Reflection;
using DynamicSharding.Server;
using Microsoft.Extensions.ObjectPool;

namespace DynamicSharding.Tests.Server;

/// <summary>What a running server keeps to itself, on the threads that own it.</summary>
internal static class Insides
{
    public static T Field<T>(object of, string name) =>
        (T)of.GetType().GetField(name, BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(of)!;

    /// <summary>On the thread of the first loop.</summary>
    public static async Task<T> OnLoopAsync<T>(DataServer server, Func<T> function)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Field<EventLoop[]>(server, "_loops")[0].Post(() =>
        {
            try
            {
                done.SetResult(function());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return await done.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>The connection that the first loop would use next, which stays in its pool.</summary>
    public static Task<Connection> PooledAsync(DataServer server, int listener = 0)
    {
        Listener shares = Field<Listener[]>(Field<DataListener[]>(server, "_listeners")[listener], "_listeners")[0];
        ObjectPool<Connection> pool = Field<DefaultObjectPool<Connection>>(shares, "_connections");
        return OnLoopAsync(server, () =>
        {
            Connection connection = pool.Get();
            pool.Return(connection);
            return connection;
        });
    }
}
