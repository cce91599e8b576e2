"""A stand-in of Google Cloud's metadata server."""

import contextlib
import http.server
import threading


@contextlib.contextmanager
def stand_in(answer):
  """Answers what is asked.

  Args:
    answer: returns the text of the next answer; None: the request fails.

  Yields:
    The address, and a list of what was asked: path and header.
  """
  asked = []

  class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self):
      asked.append((self.path, self.headers['Metadata-Flavor']))
      text = answer()
      self.send_response(200 if text else 503)
      self.end_headers()
      self.wfile.write((text or '').encode())

    def log_message(self, *_):
      pass

  server = http.server.ThreadingHTTPServer(('localhost', 0), Handler)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  try:
    yield f'http://localhost:{server.server_port}', asked
  finally:
    server.shutdown()
    server.server_close()
