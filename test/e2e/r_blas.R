# R's products and factorisations: checksums of the exact bytes of every result.
# A hash of the bytes themselves, in base R.
sum_of <- function(x) {
	b <- as.integer(writeBin(as.vector(x), raw()))
	h <- 1
	for (part in split(b, ceiling(seq_along(b) / 4096)))
		h <- (h * 31 + sum(part * seq_along(part))) %% 2147483647
	h
}
show <- function(name, x) cat(name, dim(x), sum_of(x), "\n")

set.seed(11)
n <- 240
a <- matrix(rnorm(n * n), n)
b <- matrix(rnorm(n * n), n)
z <- matrix(complex(real = rnorm(n * n), imaginary = rnorm(n * n)), n)
options(matprod = "blas")
show("product", a %*% b)
show("crossprod", crossprod(a))
show("crossprod2", crossprod(a, b))
show("tcrossprod", tcrossprod(a))
show("complex", z %*% z)
s <- crossprod(a) + n * diag(n)
show("chol", chol(s))
show("solve", solve(s, b))
show("backsolve", backsolve(chol(s), b))
show("qr", qr.R(qr(a, LAPACK = TRUE)))
show("svd", matrix(svd(a)$d))
show("eigen", matrix(eigen(s, symmetric = TRUE)$values))
bad <- a
bad[1, 1] <- NaN
options(matprod = "default")
show("NaN", is.na(bad %*% b))
