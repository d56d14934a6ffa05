"""The console command ``scgpt``: parse, call, print, exit code. The only place that imports
click.
"""
