set(jobs_sources
  cron.cpp
  time_zone.cpp
  detail/cron_fields.cpp
  detail/cron_parser.cpp
  detail/posix_zone.cpp
)
