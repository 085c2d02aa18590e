# What tidegate::sqlite links: SQLiteCpp, SQLite::SQLite3.
tidegate_find(SQLite3 3.40)
tidegate_find(SQLiteCpp 3.2)
