"""What stands before every route of the web front, Streamlit's pages among them."""
