"""The lake: the columnar history of every stream, in tables that other tools read as well."""
