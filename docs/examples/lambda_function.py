"""A Lambda function that hands each event to a Flask app."""

from apig_wsgi import make_lambda_handler
from stateless_server import app

lambda_handler = make_lambda_handler(app)
