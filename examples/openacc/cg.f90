! cg.f90 - in OpenACC: conjugate gradients for a matrix of five diagonals that is never stored. Sums go by rows, so that their order
! is the same everywhere.
program cg
   use example
   implicit none
   real(real64), allocatable :: b(:, :), x(:, :), want(:, :)
   real(real64) :: host_s, device_s
   integer(int64) :: bytes = 4*1024_int64**2
   integer :: reps = 25, n

   call begin(bytes, reps)
   n = int(sqrt(real(bytes, real64)/40))
   allocate (b(n, n), x(n, n))
   b = 1

   host_s = -seconds()
   call solve(.false., n, b, x, reps)
   host_s = host_s + seconds()
   want = x

   device_s = -seconds()
   call solve(.true., n, b, x, reps)
   device_s = device_s + seconds()
   call finish('cg', bytes, reps, host_s, device_s, all(x == want) .and. any(x /= 0))
contains
   subroutine solve(device, n, b, x, reps)
      logical, intent(in) :: device
      integer, intent(in) :: n, reps
      real(real64), intent(in) :: b(n, n)
      real(real64), intent(out) :: x(n, n)
      real(real64) :: r(n, n), p(n, n), q(n, n), rr, old
      integer :: step

      x = 0
      r = b
      p = r
      rr = dot(device, n, r, r)
      !$acc data if(device) copy(x, r, p) create(q)
      do step = 1, reps
         call multiply(device, n, p, q)
         call add(device, n, rr/dot(device, n, p, q), p, 1.0_real64, x)
         call add(device, n, -rr/dot(device, n, p, q), q, 1.0_real64, r)
         old = rr
         rr = dot(device, n, r, r)
         call add(device, n, 1.0_real64, r, rr/old, p)
      end do
      !$acc end data
   end subroutine

   subroutine multiply(device, n, p, q)
      logical, intent(in) :: device
      integer, intent(in) :: n
      real(real64), intent(in) :: p(n, n)
      real(real64), intent(inout) :: q(n, n)
      integer :: i, j

      !$acc parallel loop collapse(2) if(device) copyin(p) copy(q)
      do j = 1, n
         do i = 1, n
            q(i, j) = 4.1_real64*p(i, j)
            if (i > 1) q(i, j) = q(i, j) - p(i - 1, j)
            if (i < n) q(i, j) = q(i, j) - p(i + 1, j)
            if (j > 1) q(i, j) = q(i, j) - p(i, j - 1)
            if (j < n) q(i, j) = q(i, j) - p(i, j + 1)
         end do
      end do
   end subroutine

   ! x = a p + b x
   subroutine add(device, n, a, p, b, x)
      logical, intent(in) :: device
      integer, intent(in) :: n
      real(real64), intent(in) :: a, p(n, n), b
      real(real64), intent(inout) :: x(n, n)
      integer :: j

      !$acc parallel loop if(device) copyin(p) copy(x)
      do j = 1, n
         x(:, j) = b*x(:, j) + a*p(:, j)
      end do
   end subroutine

   real(real64) function dot(device, n, a, b)
      logical, intent(in) :: device
      integer, intent(in) :: n
      real(real64), intent(in) :: a(n, n), b(n, n)
      real(real64) :: rows(n)
      integer :: j

      !$acc parallel loop if(device) copyin(a, b) copyout(rows)
      do j = 1, n
         rows(j) = sum(a(:, j)*b(:, j))
      end do
      dot = sum(rows)
   end function
end program
