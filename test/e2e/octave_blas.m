% Octave's products and factorisations: checksums of the exact bytes of every result.
1;
function show (name, x)
  x = full (x);
  if (iscomplex (x))
    x = [real(x)(:); imag(x)(:)];
  end
  printf ("%s %s %s\n", name, class (x), hash ("md5", char (typecast (x(:)', "uint8"))));
end

rand ("twister", 5);
n = 240;
for kind = {"double", "single"}
  a = cast (rand (n) - 0.5, kind{1});
  b = cast (rand (n) - 0.5, kind{1});
  z = a + 1i * b;
  show ("product", a * b);
  show ("left transposed", a' * b);
  show ("right transposed", a * b');
  show ("a'a", a' * a);
  show ("aa'", a * a');
  show ("complex", z * z);
  show ("zz'", z * z');
  show ("z.'z", z.' * z);
  s = a' * a + n * eye (n, kind{1});
  show ("chol", chol (s));
  show ("solve", s \ b);
  show ("triangular", triu (s) \ b);
  show ("inv", inv (s));
  [q, r] = qr (a);
  show ("qr", r);
  show ("svd", svd (a));
end
