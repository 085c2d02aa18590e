set(gateway_sources
  client_view.cpp
  messages.cpp
  rule_literals.cpp
  rules_check.cpp
  sync_rules.cpp
  sync_rules_parse.cpp
)
