"""Azure Resource Manager: routing by resource id, long-running operations, bodies checked against Azure's models, access control."""
