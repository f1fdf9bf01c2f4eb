"""The engine: noise process, samplers, objectives and the Distiller; knows no field."""
