# What tidegate::contract needs: GoogleTest, in which its suites are written.
tidegate_find(GTest)
