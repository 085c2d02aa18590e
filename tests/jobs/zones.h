/// Time zones that between them have every kind of change: half hours, whole days, two hours, at midnight, backwards.
#pragma once

#include <array>

namespace tidegate::test {

inline constexpr std::array<const char*, 18> kZones{"UTC",
                                                    "Europe/Berlin",
                                                    "America/New_York",
                                                    "Australia/Lord_Howe",
                                                    "Asia/Kathmandu",
                                                    "Pacific/Apia",
                                                    "America/Sao_Paulo",
                                                    "Africa/Casablanca",
                                                    "Asia/Kolkata",
                                                    "America/St_Johns",
                                                    "Africa/Cairo",
                                                    "Antarctica/Troll",
                                                    "Pacific/Chatham",
                                                    "Asia/Tehran",
                                                    "Europe/Dublin",
                                                    "America/Havana",
                                                    "Australia/Sydney",
                                                    "America/Santiago"};

}  // namespace tidegate::test
