// push put|post|delete ADDRESS JOB INSTANCE, by prometheus-cpp. Its Push is a POST and its PushAdd a PUT.
#include <prometheus/gateway.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

int main(int, char** argv) {
    const std::string action = argv[1], address = argv[2];
    const auto colon = address.rfind(':');
    const char* user = std::getenv("PUSH_USER");
    prometheus::Gateway gateway{address.substr(0, colon), address.substr(colon + 1), argv[3], prometheus::Gateway::GetInstanceLabel(argv[4]),
                                user ? user : "", user ? std::getenv("PUSH_PASSWORD") : ""};
    auto registry = std::make_shared<prometheus::Registry>();
    prometheus::BuildGauge().Name("pushed_value").Help("Pushed by a client.").Register(*registry).Add({}).Set(1);
    gateway.RegisterCollectable(registry);

    const int status = action == "put" ? gateway.PushAdd() : action == "post" ? gateway.Push() : gateway.DeleteForInstance();
    std::cout << "returned " << status << '\n';
    // The two that a Pushgateway answers a success with.
    return status == 200 || status == 202 ? 0 : 1;
}
