"""What is run by hand or by `make`, and by nothing in the product."""
