"""What the product costs, measured against a bare Flask route on the same server in the same run.

``python -m benchmarks`` measures; ``python -m benchmarks --profile exchange`` says where the time goes.
"""
